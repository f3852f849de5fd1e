<?php

declare(strict_types=1);

namespace Stockade\Exception;

/**
 * The store or the network is unavailable. The request took effect in whole or not
 * at all; with an idempotency key it can be retried safely.
 */
final class Unavailable extends StockadeException
{
}
