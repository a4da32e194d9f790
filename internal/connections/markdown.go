package connections

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

const (
	header    = "| from | to | port | why |\n|---|---|---|---|\n"
	everyPod  = "every pod"
	inside    = " in "
	otherThan = " but not "
)

// Markdown returns the table of connections.
func Markdown(connections []Connection) string {
	var table strings.Builder
	table.WriteString(header)
	for _, c := range connections {
		fmt.Fprintf(&table, "%s %s |\n", c.key(), c.Why)
	}
	return table.String()
}

// key returns the row of the connection up to its reason.
func (c Connection) key() string {
	var ports []string
	for _, port := range c.Ports {
		ports = append(ports, fmt.Sprintf("%s %d", port.Protocol, port.Number))
	}
	return fmt.Sprintf("| %s | %s | %s |", c.From, c.To, strings.Join(ports, ", "))
}

// String returns the peer's cell of the table.
func (p Peer) String() string {
	if p.Namespace != "" {
		pods := everyPod
		if len(p.Labels) > 0 {
			pods = code(p.Labels.String())
		}
		return pods + inside + code(p.Namespace)
	}
	var networks []string
	for _, network := range p.Networks {
		text := code(network.CIDR.String())
		var except []string
		for _, prefix := range network.Except {
			except = append(except, code(prefix.String()))
		}
		if except != nil {
			text += otherThan + strings.Join(except, ", ")
		}
		networks = append(networks, text)
	}
	return strings.Join(networks, "; ")
}

func code(text string) string { return "`" + text + "`" }

// Parse reads the tables of a document by the headings of its sections. Each has at most one table.
func Parse(document string) (map[string][]Connection, error) {
	all := map[string][]Connection{}
	for section := range strings.SplitSeq("\n"+document, "\n## ") {
		heading, text, _ := strings.Cut(section, "\n")
		_, table, found := strings.Cut(text, header)
		if !found {
			continue
		}
		for line := range strings.Lines(table) {
			if !strings.HasPrefix(line, "|") {
				break
			}
			c, err := parseRow(line)
			if err != nil {
				return nil, fmt.Errorf("%s: reading %q: %w", heading, line, err)
			}
			all[heading] = append(all[heading], c)
		}
	}
	return all, nil
}

func parseRow(line string) (c Connection, err error) {
	cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
	if len(cells) != 4 {
		return c, fmt.Errorf("%d cells", len(cells))
	}
	if c.From, err = parsePeer(cells[0]); err != nil {
		return c, err
	}
	if c.To, err = parsePeer(cells[1]); err != nil {
		return c, err
	}
	for text := range strings.SplitSeq(cells[2], ",") {
		protocol, number, _ := strings.Cut(strings.TrimSpace(text), " ")
		port, err := strconv.ParseInt(number, 10, 32)
		if err != nil {
			return c, err
		}
		c.Ports = append(c.Ports, Port{corev1.Protocol(protocol), int32(port)})
	}
	c.Why = strings.TrimSpace(cells[3])
	return c, nil
}

var quoted = regexp.MustCompile("`([^`]+)`")

func parsePeer(cell string) (p Peer, err error) {
	if pods, namespace, found := strings.Cut(strings.TrimSpace(cell), inside); found {
		p.Namespace = strings.Trim(namespace, "`")
		if pods != everyPod {
			p.Labels, err = labels.ConvertSelectorToLabelsMap(strings.Trim(pods, "`"))
		}
		return p, err
	}
	for text := range strings.SplitSeq(cell, ";") {
		var network Network
		for i, match := range quoted.FindAllStringSubmatch(text, -1) {
			prefix, err := netip.ParsePrefix(match[1])
			switch {
			case err != nil:
				return p, err
			case i == 0:
				network.CIDR = prefix
			default:
				network.Except = append(network.Except, prefix)
			}
		}
		p.Networks = append(p.Networks, network)
	}
	return p, nil
}
