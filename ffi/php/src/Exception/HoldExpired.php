<?php

declare(strict_types=1);

namespace Stockade\Exception;

/**
 * The hold's time is over, or it was released; its stock is back.
 */
final class HoldExpired extends StockadeException
{
}
