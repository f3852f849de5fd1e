<?php

declare(strict_types=1);

namespace Stockade;

use DateInterval;
use DateTimeImmutable;
use FFI;
use SensitiveParameter;
use Stockade\Input\Arguments;
use Stockade\Input\Moment;
use Stockade\Native\Call;
use Stockade\Native\Handle;
use Stockade\Native\HoldCalls;
use Stockade\Native\ListCalls;
use Stockade\Native\OrderCalls;
use Stockade\Native\Opener;
use Stockade\Native\ProductCalls;
use Stockade\Native\Reader;

/**
 * The engine through ext-ffi: in this process on a store, or as the client of a
 * running one. The calls are those of {@see Client}.
 */
final class Engine implements Client
{
    use HoldCalls;
    use ListCalls;
    use OrderCalls;
    use ProductCalls;

    /** @param ?self $origin the engine that this one came from: not destroyed, and so not closed, before it */
    private function __construct(private readonly Handle $handle, private readonly ?self $origin = null)
    {
    }

    /**
     * Opens an engine on a store: "sqlite:FILE", "sqlite::memory:" or
     * "mysql://USER@HOST/DATABASE", or a running engine, "unix:///SOCKET" or
     * "http://:KEY@HOST:PORT". It is closed with this object.
     *
     * @param array<string, string|int|bool> $settings by name, such as
     *     ['redis' => 'redis://127.0.0.1', 'hold_ttl' => '60s']; a running
     *     engine has its own
     */
    public static function open(
        #[SensitiveParameter] string $store,
        #[SensitiveParameter] array $settings = [],
    ): self {
        return new self(Opener::open($store, $settings, false));
    }

    /**
     * Returns this process's shared engine with these settings: opened by the first request
     * of a worker, and kept open with its connections for later ones.
     *
     * @param array<string, string|int|bool> $settings as in {@see Engine::open()}
     */
    public static function shared(
        #[SensitiveParameter] string $store,
        #[SensitiveParameter] array $settings = [],
    ): self {
        return new self(Opener::open($store, $settings, true));
    }

    public function actingAs(string $name): self
    {
        $call = new Call($this->handle);
        $acting = $call->make('stockade_engine *');
        $call->ask('acting_as', [$call->text('name', $name), FFI::addr($acting)], false);
        return new self(new Handle($acting), $this);
    }

    /** Not clonable: the handle is freed once. */
    private function __clone()
    {
    }

    /** Closes the engine that it opened. Objects destroyed later find it closed. */
    public function __destruct()
    {
        if (isset($this->handle)) {
            $this->handle->close();
        }
    }

    /**
     * The output of var_dump: no pointer and no secret.
     *
     * @return array<string, bool>
     */
    public function __debugInfo(): array
    {
        return ['closed' => !isset($this->handle) || $this->handle->isClosed()];
    }

    public function sweep(): SweepReport
    {
        $call = new Call($this->handle);
        $report = $call->struct('stockade_sweep_report');
        $call->check($call->ffi->stockade_engine_sweep(
            $call->engine,
            FFI::addr($report),
            $call->errorOut
        ));
        return new SweepReport($report->holds_expired, $report->orders_cancelled);
    }

    public function audit(): AuditReport
    {
        $call = new Call($this->handle);
        $audit = $call->make('stockade_audit *');
        $call->check($call->ffi->stockade_engine_audit(
            $call->engine,
            FFI::addr($audit),
            $call->errorOut
        ));
        try {
            return (new Reader($call))->audit($audit);
        } finally {
            $call->ffi->stockade_audit_free($audit);
        }
    }

    public function eventsAfter(int|string|float|bool $cursor = 0, int|string|float|bool $limit = 1000): array
    {
        $call = new Call($this->handle);
        $events = $call->make('stockade_events *');
        $call->check($call->ffi->stockade_engine_events_after(
            $call->engine,
            Arguments::whole('cursor', $cursor, 0),
            Arguments::limit($limit),
            FFI::addr($events),
            $call->errorOut
        ));
        try {
            return (new Reader($call))->events($events);
        } finally {
            $call->ffi->stockade_events_free($events);
        }
    }

    /**
     * Moves the clock of a test's engine forward, and returns its new time. What is due then is
     * in stock again when the call returns, with its events, as after {@see sweep()}.
     *
     * The engine is one of `Engine::open('sqlite::memory:', ['clock' => 'manual'])`, whose time
     * stands still between two such calls. Only this driver has them.
     *
     * @param int|float|string|DateInterval $by seconds, or an interval that begins now
     * @throws Exception\Misuse for an engine with another clock, or of a running engine
     * @throws Exception\InvalidArgument for more than ten years, or back: nothing is moved
     * @throws Exception\StockadeException contention or unavailable if the clock was moved and
     *     something due was not returned yet
     */
    public function advanceClock(int|float|string|bool|DateInterval $by): DateTimeImmutable
    {
        $micros = $by instanceof DateInterval
            ? Arguments::interval('by', $by, $this->advanceClock(0))
            : (int) Arguments::ttl($by, 'by');
        $call = new Call($this->handle);
        $now = $call->make('int64_t');
        $call->ask('advance_clock', [$micros, FFI::addr($now)], false);
        return Moment::at($now->cdata);
    }

    public function ping(): void
    {
        $call = new Call($this->handle);
        $call->check(
            $call->ffi->stockade_engine_ping($call->engine, $call->errorOut)
        );
    }

    public function metricsText(): string
    {
        $call = new Call($this->handle);
        $text = $call->make('char *');
        $call->check($call->ffi->stockade_engine_metrics_text(
            $call->engine,
            FFI::addr($text),
            $call->errorOut
        ));
        try {
            return FFI::string($text);
        } finally {
            $call->ffi->stockade_string_free($text);
        }
    }

    /** Closes the engine for all objects of it; a shared one stays open for later requests. */
    public function close(): void
    {
        if ($this->handle->isClosed()) {
            return;
        }
        $call = new Call($this->handle);
        $call->check($call->ffi->stockade_engine_close($call->engine, $call->errorOut));
        // Freed when this call and enclosing ones return.
        $this->handle->close();
    }
}
