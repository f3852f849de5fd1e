<?php

declare(strict_types=1);

namespace Stockade\Exception;

/**
 * The hold has expired or was released; its stock was returned.
 */
final class HoldExpired extends StockadeException
{
}
