"""The frame of the command-line doors: flags, configs, errors, exit codes, signals."""
