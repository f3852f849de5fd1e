<?php

declare(strict_types=1);

namespace Stockade\Exception;

/**
 * Overload: too many concurrent requests. Nothing changed; retry after $retryAfter.
 */
final class Contention extends StockadeException
{
}
