<?php

declare(strict_types=1);

namespace Stockade\Testing;

use Stockade\Exception\StockadeException;

/**
 * One call that a {@see FakeClient} got.
 */
final class RecordedCall
{
    /**
     * @param string $method the method of {@see \Stockade\Client}, such as "createHold"
     * @param array<string, mixed> $arguments by the method's names, defaults included
     * @param ?string $actor the name of actingAs(), if any
     * @param mixed $answer what it returned; null if it threw
     * @param ?StockadeException $error what it threw; null if it returned
     */
    public function __construct(
        public readonly string $method,
        public readonly array $arguments,
        public readonly ?string $actor,
        public readonly mixed $answer = null,
        public readonly ?StockadeException $error = null,
    ) {
    }
}
