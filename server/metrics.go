package server

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/sekisho-dev/sekisho/server/follow"
)

// metrics counts calls. Labels come from the table of methods and the list of
// codes, never from a request, so that their number is fixed (CVE-2026-49835).
type metrics struct {
	calls    *prometheus.CounterVec
	duration *prometheus.HistogramVec
	ended    *prometheus.CounterVec
}

func newMetrics(reg *prometheus.Registry, f *follow.Follower) *metrics {
	m := &metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sekisho_calls_total", Help: "Calls answered, by method and gRPC code.",
		}, []string{"method", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sekisho_call_seconds", Help: "Time to answer a call, by method.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"method"}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sekisho_connections_ended_total", Help: "Connections that the service ended, by why.",
		}, []string{"why"}),
	}
	reg.MustRegister(m.calls, m.duration, m.ended,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "sekisho_index_entries", Help: "Log entries in the index.",
		}, func() float64 { return float64(f.Progress().Size) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "sekisho_index_ready", Help: "1 while answers are given, 0 while the index is stale or damaged.",
		}, func() float64 {
			if f.Ready(0) == nil {
				return 1
			}
			return 0
		}),
	)
	return m
}

func (m *metrics) observe(method string, start time.Time, err error) {
	if _, known := access[method]; !known {
		method = "other"
	}
	m.calls.WithLabelValues(method, status.Code(err).String()).Inc()
	m.duration.WithLabelValues(method).Observe(time.Since(start).Seconds())
}

func (m *metrics) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	start := time.Now() //nolint:forbidigo // how long it took, not when it was
	resp, err := next(ctx, req)
	m.observe(info.FullMethod, start, err)
	return resp, err
}

func (m *metrics) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	start := time.Now() //nolint:forbidigo // how long it took, not when it was
	err := next(srv, ss)
	m.observe(info.FullMethod, start, err)
	return err
}
