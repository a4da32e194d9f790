// Package ecs knows no AWS.
package ecs

import (
	"errors"

	"github.com/traefik/traefik/v3/pkg/config/dynamic"
	"github.com/traefik/traefik/v3/pkg/safe"
)

// Provider stands for Traefik's provider of the same name.
type Provider struct{}

// SetDefaults does nothing.
func (p *Provider) SetDefaults() {}

// Init always fails.
func (p *Provider) Init() error {
	return errors.New("the lab's Traefik is compiled without AWS's SDK, so it cannot use ecs: take a released Traefik")
}

// Provide is not called, since Init fails.
func (p *Provider) Provide(chan<- dynamic.Message, *safe.Pool) error { return p.Init() }
