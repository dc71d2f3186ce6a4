// Runs on import, ahead of the modules that are imported after it.

import { repairNavigatorLanguage } from './model/locale';

repairNavigatorLanguage(navigator);
