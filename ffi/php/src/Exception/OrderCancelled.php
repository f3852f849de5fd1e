<?php

declare(strict_types=1);

namespace Stockade\Exception;

/**
 * The order is cancelled.
 */
final class OrderCancelled extends StockadeException
{
}
