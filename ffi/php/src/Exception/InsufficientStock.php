<?php

declare(strict_types=1);

namespace Stockade\Exception;

/**
 * Not enough stock; $available and $short give the available units.
 */
final class InsufficientStock extends StockadeException
{
}
