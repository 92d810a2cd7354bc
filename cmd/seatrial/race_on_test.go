//go:build race

package main

// race are the flags of the race detector, if it watches these tests.
var race = []string{"-race"}
