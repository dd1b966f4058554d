"""From a scenario to a program that shows the same without this tool."""
