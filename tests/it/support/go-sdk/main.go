// A program with OpenTelemetry's Go SDK, configured by the environment alone. It emits the given number of records of
// each signal in several batches, over the protocol in its first argument, and then shuts the SDK down.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

func main() {
	if len(os.Args) != 3 {
		fail(fmt.Errorf("usage: %s grpc|http/protobuf RECORDS", os.Args[0]))
	}
	count, err := strconv.Atoi(os.Args[2])
	fail(err)
	spans, metrics, logs, err := exporters(context.Background(), os.Args[1])
	fail(err)
	emit(context.Background(), count, spans, metrics, logs)
}

func exporters(ctx context.Context, protocol string) (*otlptrace.Exporter, sdkmetric.Exporter, sdklog.Exporter, error) {
	if protocol == "grpc" {
		spans, err := otlptracegrpc.New(ctx)
		fail(err)
		metrics, err := otlpmetricgrpc.New(ctx)
		fail(err)
		logs, err := otlploggrpc.New(ctx)
		return spans, metrics, logs, err
	}
	spans, err := otlptracehttp.New(ctx)
	fail(err)
	metrics, err := otlpmetrichttp.New(ctx)
	fail(err)
	logs, err := otlploghttp.New(ctx)
	return spans, metrics, logs, err
}

func emit(ctx context.Context, count int, spans *otlptrace.Exporter, metrics sdkmetric.Exporter, logs sdklog.Exporter) {
	tracers := sdktrace.NewTracerProvider(sdktrace.WithBatcher(spans, sdktrace.WithMaxQueueSize(2*count)))
	loggers := sdklog.NewLoggerProvider(
		sdklog.WithProcessor(sdklog.NewBatchProcessor(logs, sdklog.WithMaxQueueSize(2*count))))
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(metrics)))
	tracer, logger := tracers.Tracer("test"), loggers.Logger("test")
	counter, err := meters.Meter("test").Int64Counter("test.count")
	fail(err)
	for number := range count {
		_, span := tracer.Start(ctx, fmt.Sprintf("span-%d", number))
		span.End()
		var record log.Record
		record.SetBody(attribute.StringValue(fmt.Sprintf("record-%d", number)))
		logger.Emit(ctx, record)
		counter.Add(ctx, 1, metric.WithAttributes(attribute.Int("number", number)))
	}
	fail(tracers.Shutdown(ctx))
	fail(loggers.Shutdown(ctx))
	fail(meters.Shutdown(ctx))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
