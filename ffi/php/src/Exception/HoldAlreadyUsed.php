<?php

declare(strict_types=1);

namespace Stockade\Exception;

/**
 * The hold was already used by an order; $orderId names it.
 */
final class HoldAlreadyUsed extends StockadeException
{
}
