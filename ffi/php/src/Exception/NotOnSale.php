<?php

declare(strict_types=1);

namespace Stockade\Exception;

/**
 * The product is not for sale now; $offSale and $moment say why.
 */
final class NotOnSale extends StockadeException
{
}
