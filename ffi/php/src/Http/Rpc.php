<?php

declare(strict_types=1);

namespace Stockade\Http;

use Closure;
use JsonException;
use Psr\Log\LoggerInterface;
use SensitiveParameter;
use Stockade\Exception\InvalidArgument;
use Stockade\Exception\Misuse;
use Stockade\Exception\StockadeException;
use TypeError;
use ValueError;

/**
 * Sends calls to a running engine: the protocol of the library's remote client.
 *
 * A call whose connection was lost is sent again, with exponential backoff. One that
 * would make something twice carries an idempotency key of its own for that.
 *
 * @internal
 */
final class Rpc
{
    /** A server takes a body of one megabyte, which also has the retry key. */
    private const REQUEST_BYTES_MAX = (1 << 20) - 1_024;
    /** The most retries of one call; the setting remote_reconnect bounds their time. */
    private const RETRIES_MAX = 32;
    private const BACKOFF_MIN_SECONDS = 0.005;
    private const BACKOFF_MAX_SECONDS = 0.4;
    /** The form of the W3C recommendation Trace Context. */
    private const TRACEPARENT = '/^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/D';

    private readonly Counters $counters;
    private bool $isClosed = false;

    /** @param ?Closure(): ?string $traceparent */
    public function __construct(
        private readonly Connection $connection,
        private readonly Settings $settings,
        private readonly ?LoggerInterface $logger,
        private readonly ?Closure $traceparent,
        private readonly bool $isShared,
    ) {
        $this->counters = new Counters();
    }

    public function isClosed(): bool
    {
        return $this->isClosed;
    }

    public function close(): void
    {
        if (!$this->isClosed && !$this->isShared) {
            $this->connection->close();
        }
        $this->isClosed = true;
    }

    public function metricsText(): string
    {
        $this->checkOpen();
        return $this->counters->text($this->connection->opened());
    }

    /** @throws Misuse */
    public function checkOpen(): void
    {
        if ($this->isClosed) {
            throw Misuse::because('the engine is closed');
        }
    }

    /**
     * Makes a call and returns what $read makes of its response.
     *
     * @template T
     * @param array<string, mixed>|int|string|RawJson $request
     * @param bool $needsKey whether executing the call twice would do something twice
     * @param callable(mixed): T $read
     * @return T
     */
    public function call(
        string $name,
        #[SensitiveParameter] array|int|string|RawJson $request,
        bool $needsKey,
        ?string $actor,
        callable $read,
    ): mixed {
        $this->checkOpen();
        $since = self::now();
        try {
            $response = $this->exchange($name, $request, $needsKey, $actor);
            $result = self::read($name, $response, $read);
        } catch (StockadeException $error) {
            $this->done($name, $since, $error->error);
            throw $error;
        }
        $this->done($name, $since, null);
        return $result;
    }

    /** @param array<string, mixed>|int|string|RawJson $request */
    private function exchange(
        string $name,
        #[SensitiveParameter] array|int|string|RawJson $request,
        bool $needsKey,
        ?string $actor,
    ): string {
        $json = "{\"{$name}\":" . ($request === [] ? '{}' : Json::encode($request)) . '}';
        if (strlen($json) > self::REQUEST_BYTES_MAX) {
            throw InvalidArgument::because('a request has at most ' . self::REQUEST_BYTES_MAX . ' bytes');
        }
        $tail = ($actor === null ? '' : '"actor":' . Json::encode($actor) . ',') . '"request":' . $json . '}';
        $key = $needsKey ? self::retryKey() : null;
        $traceparent = $this->currentTraceparent();
        $deadline = self::now() + $this->settings->timeout;
        [$isSent, $lostSince, $pause] = [false, null, self::BACKOFF_MIN_SECONDS];
        for ($retries = 0;; $retries++) {
            $started = self::now();
            $milliseconds = (int) ceil(($deadline - $started) * 1_000);
            if ($milliseconds <= 0) {
                throw $this->late($name, $isSent);
            }
            $retry = $key === null
                ? ''
                : "\"retry\":{\"key\":\"{$key}\",\"is_retry\":" . ($isSent ? 'true' : 'false') . '},';
            try {
                [$status, $body] = $this->connection->post("{{$retry}{$tail}", $milliseconds, $traceparent);
            } catch (ConnectionLost $lost) {
                $isSent = $isSent || $lost->isSent;
                // An attempt to connect that fails has taken its time; a lost response was lost just now.
                $lostSince ??= $lost->isSent ? self::now() : $started;
                $wait = $pause * (1 + mt_rand() / mt_getrandmax());
                $pause = min($pause * 2, self::BACKOFF_MAX_SECONDS);
                if (self::now() >= $deadline) {
                    throw $this->late($name, $isSent);
                }
                $isHopeless = self::now() + $wait - $lostSince >= $this->settings->reconnect;
                if ($isHopeless || $retries >= self::RETRIES_MAX) {
                    throw Failures::make('unavailable', self::outcome($lost->getMessage(), $name, $isSent));
                }
                $this->counters->retry();
                $this->logger?->warning('stockade: retries {call}: {reason}', [
                    'call' => $name,
                    'reason' => $lost->getMessage(),
                    'retry' => $retries + 1,
                ]);
                usleep((int) (min($wait, max($deadline - self::now(), 0.0)) * 1e6));
                continue;
            }
            return $status === 200 ? $body : throw Failures::rejection($name, $status, $body);
        }
    }

    /**
     * @template T
     * @param callable(mixed): T $read
     * @return T
     */
    private static function read(string $name, #[SensitiveParameter] string $body, callable $read): mixed
    {
        // A field that is missing is a warning otherwise.
        set_error_handler(static fn (int $level, string $why): never => throw new ValueError($why));
        try {
            $reply = Json::decode($body);
            if (is_array($reply) && is_array($reply['Err'] ?? null)) {
                throw Failures::of($reply['Err']);
            }
            if (is_array($reply) && is_array($reply['Ok'] ?? null) && array_key_exists($name, $reply['Ok'])) {
                return $read($reply['Ok'][$name]);
            }
        } catch (JsonException | TypeError | ValueError) {
            // Reported below, without the body: it may carry tokens.
        } finally {
            restore_error_handler();
        }
        throw Failures::make('internal', "cannot parse the response to {$name}; is that a server of this version?");
    }

    private function done(string $name, float $since, ?string $code): void
    {
        $seconds = self::now() - $since;
        $this->counters->call($seconds, $code);
        $this->logger?->debug('stockade: {call} took {duration_ms} ms', [
            'call' => $name,
            'duration_ms' => round($seconds * 1_000, 3),
            'code' => $code,
        ]);
    }

    private function late(string $name, bool $isSent): StockadeException
    {
        $why = "no response within {$this->settings->timeout}s";
        return Failures::make('unavailable', self::outcome($why, $name, $isSent));
    }

    /** Says of a failed call whether it may have been executed. */
    private static function outcome(string $why, string $name, bool $isSent): string
    {
        return $isSent ? "{$why}; {$name} may have been executed" : "{$why}; {$name} was not executed";
    }

    /** Draws an idempotency key of 48 bits of time and 80 random bits, in index order. */
    private static function retryKey(): string
    {
        return sprintf('%012x', (int) (microtime(true) * 1_000)) . bin2hex(random_bytes(10));
    }

    private function currentTraceparent(): ?string
    {
        $given = $this->traceparent !== null ? ($this->traceparent)() : ($_SERVER['HTTP_TRACEPARENT'] ?? null);
        return is_string($given) && preg_match(self::TRACEPARENT, $given) === 1 ? $given : null;
    }

    /** Seconds on a clock that never goes back. */
    private static function now(): float
    {
        return hrtime(true) / 1e9;
    }
}
