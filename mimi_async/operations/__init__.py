"""Operations: one unit of work with its deadline, and the supervisor that owns the tasks."""
