<?php

declare(strict_types=1);

namespace Stockade\Exception;

/**
 * The request is invalid; retrying it unchanged never succeeds.
 */
final class InvalidArgument extends StockadeException
{
    public static function because(string $message): self
    {
        return new self('invalid_argument', 1, $message);
    }
}
