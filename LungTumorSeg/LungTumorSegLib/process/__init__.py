"""The engine as a child process: the job, its channel, its progress, and the machine it runs on."""
