<?php

declare(strict_types=1);

namespace Stockade;

/**
 * The status of a hold. All but Active are final.
 */
enum HoldStatus: string
{
    case Active = 'active';
    case Converted = 'converted';
    case Released = 'released';
    case Expired = 'expired';
}
