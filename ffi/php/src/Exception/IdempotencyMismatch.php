<?php

declare(strict_types=1);

namespace Stockade\Exception;

/**
 * The idempotency key was used for another request.
 */
final class IdempotencyMismatch extends StockadeException
{
}
