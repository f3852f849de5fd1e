<?php

declare(strict_types=1);

namespace Stockade\Exception;

/**
 * Not enough stock; $available and $short say how much there is.
 */
final class InsufficientStock extends StockadeException
{
}
