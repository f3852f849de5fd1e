<?php

declare(strict_types=1);

namespace Stockade\Exception;

/**
 * Too many ask at once; nothing changed. Try again after $retryAfter.
 */
final class Contention extends StockadeException
{
}
