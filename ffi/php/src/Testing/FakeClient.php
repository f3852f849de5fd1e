<?php

declare(strict_types=1);

namespace Stockade\Testing;

use Closure;
use InvalidArgumentException;
use JsonException;
use SensitiveParameter;
use Stockade\AuditReport;
use Stockade\Cart;
use Stockade\Client;
use Stockade\Exception\Misuse;
use Stockade\Exception\StockadeException;
use Stockade\Hold;
use Stockade\Input\Arguments;
use Stockade\Order;
use Stockade\Product;
use Stockade\SweepReport;
use Throwable;

/**
 * A client for a shop's own tests: it records calls and returns configured answers, without
 * an engine.
 *
 *     $stock = new FakeClient();
 *     $stock->answer('createHold', Make::error('insufficient_stock', available: 1));
 *     $checkout->buy($stock, 'sku:LAMP-1');
 *     $stock->assertNothingHeld();
 *
 * A call without a configured answer succeeds: what makes something returns it, what
 * reads finds what was made or given by put(), and arguments are checked as by the other
 * drivers. It counts no stock, ends no hold, and knows no idempotency keys: a test of
 * those uses an {@see \Stockade\Engine} on sqlite::memory:.
 */
final class FakeClient implements Client
{
    use Assertions;
    use HoldCalls;
    use ListCalls;
    use OrderCalls;
    use ProductCalls;

    private readonly Tape $tape;
    private ?string $actor = null;

    public function __construct()
    {
        $this->tape = new Tape();
    }

    /**
     * Sets what a method answers: a value, an exception to throw, or a closure that gets
     * the {@see RecordedCall} and returns one of both, or null for the usual answer. Of
     * several answers each is given once, and the last one from then on.
     *
     * @param string $method such as 'createHold'
     * @throws InvalidArgumentException for a method that {@see Client} has not
     */
    public function answer(string $method, mixed ...$answers): self
    {
        if (!method_exists(Client::class, $method)) {
            throw new InvalidArgumentException("a client has no method {$method}");
        }
        if ($answers === []) {
            unset($this->tape->told[$method]);
        } else {
            $this->tape->told[$method] = array_values($answers);
        }
        return $this;
    }

    /** Gives it what reads shall find, such as put(Make::product(id: 7, stock: 3)). */
    public function put(Product|Hold|Cart|Order ...$values): self
    {
        array_map($this->tape->shelf->put(...), $values);
        return $this;
    }

    /**
     * The calls so far, also those of actingAs().
     *
     * @param ?string $method only those of this method
     * @return list<RecordedCall>
     */
    public function calls(?string $method = null): array
    {
        return array_values(array_filter($this->tape->calls, static fn (RecordedCall $call): bool
            => $method === null || $call->method === $method));
    }

    public function actingAs(string $name): self
    {
        $this->checkOpen();
        $acting = clone $this;
        $acting->actor = $name;
        return $acting;
    }

    public function eventsAfter(int|string|float|bool $cursor = 0, int|string|float|bool $limit = 1000): array
    {
        return $this->play(__FUNCTION__, get_defined_vars(), static fn (): array => []);
    }

    public function sweep(): SweepReport
    {
        return $this->play(__FUNCTION__, [], static fn (): SweepReport => new SweepReport(0, 0));
    }

    public function audit(): AuditReport
    {
        return $this->play(__FUNCTION__, [], static fn (): AuditReport
            => new AuditReport(true, 0, 0, 0, 0, 0, 0, 0, null, 0, [], 0));
    }

    public function ping(): void
    {
        $this->play(__FUNCTION__, [], static fn (): mixed => null);
    }

    public function metricsText(): string
    {
        return $this->play(__FUNCTION__, [], static fn (): string => '');
    }

    public function close(): void
    {
        $this->tape->isClosed = true;
    }

    private function shelf(): Shelf
    {
        return $this->tape->shelf;
    }

    private function checkOpen(): void
    {
        if ($this->tape->isClosed) {
            throw Misuse::because('the engine is closed');
        }
    }

    /**
     * Records a call and its outcome.
     *
     * @param array<string, mixed> $arguments
     * @param Closure(): mixed $default
     */
    private function play(string $method, #[SensitiveParameter] array $arguments, Closure $default): mixed
    {
        $this->checkOpen();
        $call = new RecordedCall($method, $arguments, $this->actor);
        try {
            $answer = $this->tape->answer($call, $default);
        } catch (Throwable $error) {
            $refusal = $error instanceof StockadeException ? $error : null;
            $this->tape->calls[] = Make::with($call, error: $refusal ?? Make::error('internal', $error->getMessage()));
            throw $error;
        }
        $this->tape->calls[] = Make::with($call, answer: $answer);
        return $answer;
    }

    /**
     * Metadata as it is read.
     *
     * @param array<string, mixed>|string|null $metadata
     * @return ?array<string, mixed>
     */
    private static function metadata(array|string|null $metadata): ?array
    {
        $json = Arguments::metadata($metadata);
        try {
            $read = $json === null ? null : json_decode($json, true, 512, JSON_THROW_ON_ERROR | JSON_BIGINT_AS_STRING);
        } catch (JsonException $error) {
            throw Make::error('invalid_argument', "metadata must be a JSON object: {$error->getMessage()}");
        }
        return $read;
    }
}
