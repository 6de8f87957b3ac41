"""Who the user is: routes to become one, turns that change it, signals that tell it, and the controller of it all."""
