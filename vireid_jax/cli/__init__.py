"""What all commands share: flags, configs, errors, exit codes and signals."""
