<?php

declare(strict_types=1);

namespace Stockade\Exception;

/**
 * The name is taken: $productId or $orderId names what has it.
 */
final class AlreadyExists extends StockadeException
{
}
