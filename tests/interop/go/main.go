// Checks notes and proofs with Go's own checksum database code, golang.org/x/mod/sumdb, which
// knows nothing of this project. Standard input is a JSON array of cases; standard output is a JSON
// array with the reason of each refusal, empty where the case holds.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type testCase struct {
	Check   string      `json:"check"`
	Note    []byte      `json:"note"`
	Key     string      `json:"key"`
	Text    []byte      `json:"text"`
	Proof   []tlog.Hash `json:"proof"`
	Size    int64       `json:"size"`
	Root    tlog.Hash   `json:"root"`
	Index   int64       `json:"index"`
	Entry   []byte      `json:"entry"`
	Old     int64       `json:"old"`
	OldRoot tlog.Hash   `json:"old_root"`
}

func (c testCase) verify() error {
	switch c.Check {
	case "note":
		return c.openNote()
	case "inclusion":
		return tlog.CheckRecord(c.Proof, c.Size, c.Root, c.Index, tlog.RecordHash(c.Entry))
	case "consistency":
		return tlog.CheckTree(c.Proof, c.Size, c.Root, c.Old, c.OldRoot)
	}
	return fmt.Errorf("no such check: %q", c.Check)
}

func (c testCase) openNote() error {
	key, err := note.NewVerifier(c.Key)
	if err != nil {
		return err
	}
	opened, err := note.Open(c.Note, note.VerifierList(key))
	if err != nil {
		return err
	}
	if opened.Text != string(c.Text) {
		return fmt.Errorf("the note's text is another one")
	}
	return nil
}

func main() {
	var cases []testCase
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	reasons := make([]string, len(cases))
	for i, c := range cases {
		if err := c.verify(); err != nil {
			reasons[i] = err.Error()
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(reasons); err != nil {
		os.Exit(1)
	}
}
