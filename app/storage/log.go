package main

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/s3api/utils"
)

// logRequest logs requests that change something or fail.
func logRequest(ctx fiber.Ctx) error {
	start := time.Now()
	err := ctx.Next()
	status := ctx.Response().StatusCode()
	reads := ctx.Method() == http.MethodGet || ctx.Method() == http.MethodHead
	if reads && status < http.StatusBadRequest {
		return err
	}
	account, _ := utils.ContextKeyAccount.Get(ctx).(auth.Account)
	slog.Info("request", "account", account.Access, "method", ctx.Method(), "url", ctx.OriginalURL(),
		"status", status, "duration", time.Since(start).Round(time.Millisecond))
	return err
}
