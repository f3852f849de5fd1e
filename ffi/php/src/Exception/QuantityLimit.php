<?php

declare(strict_types=1);

namespace Stockade\Exception;

/**
 * More units than allowed for one hold or one customer.
 */
final class QuantityLimit extends StockadeException
{
}
