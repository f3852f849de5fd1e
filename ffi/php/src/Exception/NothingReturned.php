<?php

declare(strict_types=1);

namespace Stockade\Exception;

/**
 * Fewer units of the order are returned than are to be restocked.
 */
final class NothingReturned extends StockadeException
{
}
