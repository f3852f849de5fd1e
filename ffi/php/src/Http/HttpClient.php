<?php

declare(strict_types=1);

namespace Stockade\Http;

use Closure;
use Psr\Log\LoggerInterface;
use SensitiveParameter;
use Stockade\AuditReport;
use Stockade\Client;
use Stockade\Exception\InvalidArgument;
use Stockade\Input\Arguments;
use Stockade\SweepReport;

/**
 * The client of a running engine through ext-curl: without ext-ffi, the library, or
 * any other package.
 *
 * The first call connects. The connection is kept for later calls, and opened anew when
 * it was lost; calls are then sent again, and executed once.
 */
final class HttpClient implements Client
{
    use HoldCalls;
    use ListCalls;
    use OrderCalls;
    use ProductCalls;

    /** The most URLs whose connections a process keeps. */
    private const SHARED_MAX = 16;
    private const ACTOR_BYTES_MAX = 255;

    /** @var array<string, Connection> the process's connections, by a hash of URL and settings */
    private static array $shared = [];

    private function __construct(private readonly Rpc $rpc, private readonly ?string $actor = null)
    {
    }

    /**
     * Makes a client with a connection of its own, which closes with the object.
     *
     * @param string $url "unix:///SOCKET", "http://:KEY@HOST:PORT" or "https://:KEY@HOST:PORT"
     * @param array<string, string|int|bool> $settings remote_timeout ("20s" by default) bounds a call, all
     *     attempts together; remote_reconnect ("5s") how long a call waits for an engine that cannot be
     *     reached; remote_ca names a PEM file of trusted certificates; another one is rejected
     * @param ?LoggerInterface $logger gets retries as warnings and calls as debug messages, without arguments
     * @param ?Closure(): ?string $traceparent returns the header traceparent of the calls; null for that
     *     of the request that PHP serves
     * @throws InvalidArgument for a malformed URL or setting
     */
    public static function open(
        #[SensitiveParameter] string $url,
        #[SensitiveParameter] array $settings = [],
        ?LoggerInterface $logger = null,
        ?Closure $traceparent = null,
    ): self {
        return self::make($url, $settings, $logger, $traceparent, false);
    }

    /**
     * Makes a client that shares this process's connection to the engine, and leaves it
     * open when it is closed.
     *
     * @param array<string, string|int|bool> $settings as in {@see HttpClient::open()}
     * @param ?Closure(): ?string $traceparent as in {@see HttpClient::open()}
     * @throws InvalidArgument as in {@see HttpClient::open()}
     */
    public static function shared(
        #[SensitiveParameter] string $url,
        #[SensitiveParameter] array $settings = [],
        ?LoggerInterface $logger = null,
        ?Closure $traceparent = null,
    ): self {
        return self::make($url, $settings, $logger, $traceparent, true);
    }

    /** @param array<string, string|int|bool> $settings */
    private static function make(
        #[SensitiveParameter] string $url,
        #[SensitiveParameter] array $settings,
        ?LoggerInterface $logger,
        ?Closure $traceparent,
        bool $isShared,
    ): self {
        $address = Address::parse($url);
        $read = Settings::of($settings, $address);
        $number = hash('sha256', serialize([$url, $read->ca]));
        $connection = $isShared ? (self::$shared[$number] ?? null) : null;
        $connection ??= new Connection($address, $read->ca);
        if ($isShared) {
            unset(self::$shared[$number]);
            self::$shared = array_slice(self::$shared, 1 - self::SHARED_MAX) + [$number => $connection];
        }
        return new self(new Rpc($connection, $read, $logger, $traceparent, $isShared));
    }

    public function actingAs(string $name): self
    {
        $isName = strlen($name) >= 1 && strlen($name) <= self::ACTOR_BYTES_MAX
            && preg_match('/^[^\p{Cc}]+$/Du', $name) === 1;
        if (!$isName) {
            $most = self::ACTOR_BYTES_MAX;
            throw InvalidArgument::because("an actor's name has 1 to {$most} bytes and no control characters");
        }
        $this->rpc->checkOpen();
        return new self($this->rpc, $name);
    }

    /** Not clonable, as no client is. */
    private function __clone()
    {
    }

    /**
     * The output of var_dump: no secret.
     *
     * @return array<string, bool>
     */
    public function __debugInfo(): array
    {
        return ['closed' => $this->rpc->isClosed()];
    }

    public function sweep(): SweepReport
    {
        return $this->ask('sweep', [], false, static fn (array $of): SweepReport
            => new SweepReport($of['holds_expired'], $of['orders_cancelled']));
    }

    public function audit(): AuditReport
    {
        return $this->ask('audit', [], false, Decoder::audit(...));
    }

    public function eventsAfter(int|string|float|bool $cursor = 0, int|string|float|bool $limit = 1000): array
    {
        $request = ['cursor' => Arguments::whole('cursor', $cursor, 0), 'limit' => Arguments::limit($limit)];
        return $this->ask('events_after', $request, false, static fn (array $of): array
            => Decoder::list(Decoder::event(...), $of));
    }

    public function ping(): void
    {
        $this->ask('ping', [], false, static fn (mixed $of): mixed => $of);
    }

    public function metricsText(): string
    {
        return $this->rpc->metricsText();
    }

    public function close(): void
    {
        $this->rpc->close();
    }

    /**
     * Makes a call.
     *
     * @template T
     * @param array<string, mixed>|int|string|RawJson $request
     * @param bool $needsKey whether executing it twice would do something twice
     * @param callable(mixed): T $read
     * @return T
     */
    private function ask(
        string $name,
        #[SensitiveParameter] array|int|string|RawJson $request,
        bool $needsKey,
        callable $read,
    ): mixed {
        return $this->rpc->call($name, $request, $needsKey, $this->actor, $read);
    }

    /**
     * Makes a call whose response may replay an earlier one.
     *
     * @template T
     * @param array<string, mixed> $request
     * @param callable(array<string, mixed>, bool): T $read
     * @return T
     */
    private function askReplayable(
        string $name,
        #[SensitiveParameter] array $request,
        bool $needsKey,
        callable $read,
    ): mixed {
        return $this->ask($name, $request, $needsKey, static fn (array $of): mixed
            => $read($of['value'], $of['replayed']));
    }
}
