<?php

declare(strict_types=1);

namespace Stockade;

/**
 * Where a hold stands. All but Active are final.
 */
enum HoldStatus: string
{
    case Active = 'active';
    case Converted = 'converted';
    case Released = 'released';
    case Expired = 'expired';
}
