<?php

declare(strict_types=1);

namespace Stockade\Exception;

/**
 * The engine was used incorrectly: it is closed, was opened before a fork, or its
 * library cannot be loaded.
 */
final class Misuse extends StockadeException
{
    public static function because(string $message): self
    {
        return new self('misuse', 12, $message);
    }
}
