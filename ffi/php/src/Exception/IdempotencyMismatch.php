<?php

declare(strict_types=1);

namespace Stockade\Exception;

/**
 * The idempotency key was used with another request.
 */
final class IdempotencyMismatch extends StockadeException
{
}
