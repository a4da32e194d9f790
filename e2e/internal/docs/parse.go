// Package docs reads the commands in Markdown documents, runs them, and compares what they print with what
// the documents show.
package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Document is a Markdown file.
type Document struct {
	// Name is its path in the repository.
	Name   string
	Blocks []Block
}

// Block is a fenced block of commands.
type Block struct {
	// Line is where it starts.
	Line     int
	Commands string
	// Output is what the document shows of their output, if ShowsOutput.
	Output      string
	ShowsOutput bool
	// NotRun is the reason why they can't be run, if there is one.
	NotRun string
}

const (
	commands = "sh"
	output   = "text"
)

// languages are the kinds of blocks that a document may have.
var languages = []string{commands, output, "json", "mermaid", "yaml"}

var (
	fence  = regexp.MustCompile("^```([a-z]+)$")
	marker = regexp.MustCompile(`^<!-- not run: (.+) -->$`)
	// typed matches a line that looks like one for a shell.
	typed = regexp.MustCompile(`^\s*((\$|cd|curl|docker|export|git|go|helm|kubectl|make|pulumi|sudo) |\. \.lab)`)
)

// Read reads the documents of a repository: README.md and the files beside it and in docs.
func Read(root string) ([]Document, error) {
	var documents []Document
	for _, pattern := range []string{"*.md", "docs/*.md"} {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			text, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			name, err := filepath.Rel(root, path)
			if err != nil {
				return nil, err
			}
			blocks, err := Parse(string(text))
			if err != nil {
				return nil, fmt.Errorf("%s:%w", name, err)
			}
			documents = append(documents, Document{name, blocks})
		}
	}
	return documents, nil
}

// Parse returns the blocks of commands in a text. Errors start with the number of the line.
func Parse(text string) ([]Block, error) {
	p := parser{}
	number := 0
	for line := range strings.Lines(text) {
		number++
		if err := p.read(number, strings.TrimRight(line, "\r\n")); err != nil {
			return nil, fmt.Errorf("%d: %w", number, err)
		}
	}
	if p.language != "" {
		return nil, fmt.Errorf("%d: the block has no end", p.block.Line)
	}
	return p.blocks, nil
}

type parser struct {
	blocks []Block
	// language is the open block's, if there is one.
	language string
	block    Block
	// reason is what a marker in the line before said.
	reason string
	// follows says that nothing but empty lines came after the last block of commands.
	follows bool
}

func (p *parser) read(number int, line string) error {
	if p.language != "" {
		return p.readInBlock(line)
	}
	reason := p.reason
	p.reason = ""
	if start := fence.FindStringSubmatch(line); start != nil {
		return p.open(number, start[1], reason)
	}
	switch said := marker.FindStringSubmatch(line); {
	case reason != "":
		return fmt.Errorf("%q is no block of commands, which the line before says is not run", line)
	case strings.HasPrefix(strings.TrimSpace(line), "```"):
		return fmt.Errorf("%q does not open a block: it takes ``` and a language, at the beginning of the line",
			line)
	case strings.HasPrefix(line, "    ") && typed.MatchString(line):
		return fmt.Errorf("%q looks like a command: write it in a block of %s", line, commands)
	case said != nil:
		p.reason, p.follows = said[1], false
	case line != "":
		p.follows = false
	}
	return nil
}

func (p *parser) open(number int, language, reason string) error {
	if !slices.Contains(languages, language) {
		return fmt.Errorf("blocks are of %s, and not of %s", strings.Join(languages, ", "), language)
	}
	if reason != "" && language != commands {
		return fmt.Errorf("a block of %s is never run", language)
	}
	p.language = language
	p.block = Block{Line: number, NotRun: reason}
	return nil
}

func (p *parser) readInBlock(line string) error {
	if line != "```" {
		if p.language != commands && typed.MatchString(line) {
			return fmt.Errorf("%q looks like a command in a block of %s: write it in one of %s", line, p.language,
				commands)
		}
		p.block.Commands += line + "\n"
		return nil
	}
	switch {
	case p.language == commands:
		p.blocks = append(p.blocks, p.block)
	case p.language == output && p.follows:
		last := &p.blocks[len(p.blocks)-1]
		last.Output, last.ShowsOutput = p.block.Commands, true
	}
	p.follows = p.language == commands
	p.language = ""
	return nil
}
