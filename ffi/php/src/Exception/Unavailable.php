<?php

declare(strict_types=1);

namespace Stockade\Exception;

/**
 * The store or the network is gone. Nothing is half done; with an idempotency key
 * the request can be repeated safely.
 */
final class Unavailable extends StockadeException
{
}
