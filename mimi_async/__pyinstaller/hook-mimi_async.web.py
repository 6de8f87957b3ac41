"""Collect the templates, texts and static files of the pages."""

from PyInstaller.utils.hooks import collect_data_files

datas = collect_data_files("mimi_async.web")
