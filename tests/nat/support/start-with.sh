#!/bin/sh
# Runs a program with words in front, those of START_WITH: Playwright starts a browser by its path alone.
exec $START_WITH "$@"
