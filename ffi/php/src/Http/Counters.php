<?php

declare(strict_types=1);

namespace Stockade\Http;

/**
 * What a client counts of its own: names as in the library's remote client.
 *
 * @internal
 */
final class Counters
{
    private int $calls = 0;
    private float $seconds = 0.0;
    private int $retries = 0;
    /** @var array<string, int> failed calls by code: as many as there are codes */
    private array $refusals = [];

    public function call(float $seconds, ?string $code): void
    {
        $this->calls++;
        $this->seconds += $seconds;
        if ($code !== null) {
            $this->refusals[$code] = ($this->refusals[$code] ?? 0) + 1;
        }
    }

    public function retry(): void
    {
        $this->retries++;
    }

    /** OpenMetrics text, without the final "# EOF". */
    public function text(int $connections): string
    {
        $lines = [
            '# HELP stockade_remote_call_seconds Duration of a call, retries included.',
            '# TYPE stockade_remote_call_seconds summary',
            "stockade_remote_call_seconds_count {$this->calls}",
            sprintf('stockade_remote_call_seconds_sum %.6F', $this->seconds),
            '# HELP stockade_remote_refusals Failed calls, by error code.',
            '# TYPE stockade_remote_refusals counter',
        ];
        foreach ($this->refusals as $code => $count) {
            $lines[] = "stockade_remote_refusals_total{code=\"{$code}\"} {$count}";
        }
        array_push(
            $lines,
            '# HELP stockade_remote_retries Retries of calls after their connection failed.',
            '# TYPE stockade_remote_retries counter',
            "stockade_remote_retries_total {$this->retries}",
            '# HELP stockade_remote_connections Connections opened.',
            '# TYPE stockade_remote_connections counter',
            "stockade_remote_connections_total {$connections}"
        );
        return implode("\n", $lines) . "\n";
    }
}
