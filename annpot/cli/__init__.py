"""The command line: parse options, load settings, call one function, report."""
