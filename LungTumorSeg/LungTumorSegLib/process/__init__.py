"""Run the engine as a child process: the job, its channel, its progress, and the machine on which it runs."""
