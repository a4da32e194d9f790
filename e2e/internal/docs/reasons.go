package docs

import (
	"fmt"
	"slices"
)

// Reasons lists the reasons that a document may give for not running a block. There are at most 10.
var Reasons = []string{
	"changes the stack's settings, as TestTheStackFollowsItsSettings does",
	"follows a log until it is interrupted",
	"loses or moves data, as TestALostClusterComesBack does",
	"needs another cluster",
	"needs several nodes, as TestSeveralNodes has",
	"needs the internet",
	"replaces Pulumi's state, as TestALostStateTakesUpWhatRuns does",
	"replaces secrets, as TestChangesRollOut does",
	"runs for minutes or hours",
	"waits for a person",
}

// CheckReasons returns an error for a reason that is not in the list, or that no document gives.
func CheckReasons(documents []Document, reasons []string) error {
	given := map[string]bool{}
	for _, document := range documents {
		for _, block := range document.Blocks {
			if block.NotRun == "" {
				continue
			}
			if !slices.Contains(reasons, block.NotRun) {
				return fmt.Errorf("%s:%d: %q is none of the reasons in e2e/internal/docs/reasons.go", document.Name,
					block.Line, block.NotRun)
			}
			given[block.NotRun] = true
		}
	}
	for _, reason := range reasons {
		if !given[reason] {
			return fmt.Errorf("no document gives the reason %q: remove it from the list", reason)
		}
	}
	return nil
}
