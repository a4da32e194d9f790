package main

import (
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/s3api/utils"

	"github.com/stateful-k3s/stateful-k3s/app/internal/web"
)

// logRequest logs requests that change something or fail, and measures all.
func logRequest(ctx fiber.Ctx) error {
	start := time.Now()
	err := ctx.Next()
	status := ctx.Response().StatusCode()
	web.Observe(route(ctx.Method()), status, start)
	reads := ctx.Method() == http.MethodGet || ctx.Method() == http.MethodHead
	if reads && status < http.StatusBadRequest {
		return err
	}
	account, _ := utils.ContextKeyAccount.Get(ctx).(auth.Account)
	slog.Info("request", "account", account.Access, "method", ctx.Method(), "url", ctx.OriginalURL(),
		"status", status, "duration", time.Since(start).Round(time.Millisecond))
	return err
}

// route is a method of S3, or "" for any other: a stranger could make up one after the other.
func route(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodDelete:
		return strings.Clone(method) // fiber uses its memory again
	}
	return ""
}
