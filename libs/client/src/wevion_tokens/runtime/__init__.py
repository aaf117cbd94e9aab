"""What every part needs of a process: the time, errors classed by what to do, retries, tasks that are watched."""
