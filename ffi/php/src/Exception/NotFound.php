<?php

declare(strict_types=1);

namespace Stockade\Exception;

/**
 * No such product, hold or order.
 */
final class NotFound extends StockadeException
{
}
