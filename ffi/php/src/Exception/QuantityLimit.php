<?php

declare(strict_types=1);

namespace Stockade\Exception;

/**
 * More units than one hold may have, or one customer.
 */
final class QuantityLimit extends StockadeException
{
}
