<?php

declare(strict_types=1);

namespace Stockade\Exception;

/**
 * The hold is for another product; it was not changed.
 */
final class ProductMismatch extends StockadeException
{
}
