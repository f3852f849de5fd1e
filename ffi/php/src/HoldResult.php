<?php

declare(strict_types=1);

namespace Stockade;

use Stockade\Exception\StockadeException;

/**
 * The result of one request of a batch: a hold, or the exception that
 * {@see Client::createHold()} would have thrown.
 */
final class HoldResult
{
    private function __construct(
        public readonly ?Hold $hold,
        public readonly ?StockadeException $error,
    ) {
    }

    public static function held(Hold $hold): self
    {
        return new self($hold, null);
    }

    public static function refused(StockadeException $error): self
    {
        return new self(null, $error);
    }
}
