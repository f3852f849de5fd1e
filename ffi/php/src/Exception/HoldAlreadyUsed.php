<?php

declare(strict_types=1);

namespace Stockade\Exception;

/**
 * The hold became an order before; $orderId names it.
 */
final class HoldAlreadyUsed extends StockadeException
{
}
